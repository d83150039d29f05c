//! Test features in which one modality is missing for some samples, or noisy for all.

use tch::{Device, Kind, Tensor};

use super::fit::FeatureSet;
use crate::terms::Modality;

/// The features as they are (the tensors are shared, not copied).
pub fn unchanged(features: &FeatureSet) -> FeatureSet {
    let FeatureSet { x_v, x_l, picture, text, y } = features;
    FeatureSet {
        x_v: x_v.shallow_clone(),
        x_l: x_l.shallow_clone(),
        picture: picture.shallow_clone(),
        text: text.shallow_clone(),
        y: y.shallow_clone(),
    }
}

/// Samples where `mask` is true get the `blank` feature [1, d_m] (the zero vector if none is given) for the modality.
///
/// # Errors
/// If the mask or the blank feature does not fit.
pub fn without(
    features: &FeatureSet,
    modality: Modality,
    mask: &[bool],
    blank: Option<&Tensor>,
) -> anyhow::Result<FeatureSet> {
    let mut impaired = unchanged(features);
    let (x, index) = parts(&mut impaired, modality);
    let (rows, width) = x.size2()?;
    anyhow::ensure!(mask.len() as i64 == index.size()[0], "a mask for {} of {:?} samples", mask.len(), index.size());
    let zero = Tensor::zeros([1, width], (x.kind(), x.device()));
    let blank = blank.unwrap_or(&zero);
    anyhow::ensure!(blank.size() == [1, width], "a blank feature should be [1, {width}], is {:?}", blank.size());
    let mask = Tensor::from_slice(mask).to_device(x.device());
    // One more row, which the masked samples point to.
    *index = index.where_self(&mask.logical_not(), &Tensor::full_like(index, rows));
    *x = Tensor::cat(&[&*x, blank], 0);
    Ok(impaired)
}

/// The modality's features are replaced: `noisy` has one row per sample, [n, d_m].
///
/// # Errors
/// If the sizes do not fit.
pub fn replaced(features: &FeatureSet, modality: Modality, noisy: Tensor) -> anyhow::Result<FeatureSet> {
    let mut impaired = unchanged(features);
    let n = impaired.len();
    let (x, index) = parts(&mut impaired, modality);
    let expected = [n, x.size()[1]];
    anyhow::ensure!(noisy.size() == expected, "noisy features should be {expected:?}, are {:?}", noisy.size());
    *index = Tensor::arange(n, (Kind::Int64, Device::Cpu)).to_device(noisy.device());
    *x = noisy;
    Ok(impaired)
}

fn parts(features: &mut FeatureSet, modality: Modality) -> (&mut Tensor, &mut Tensor) {
    match modality {
        Modality::Image => (&mut features.x_v, &mut features.picture),
        Modality::Text => (&mut features.x_l, &mut features.text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four samples over two pictures and three texts.
    fn features() -> FeatureSet {
        FeatureSet {
            x_v: Tensor::from_slice(&[1f32, 2., 3., 4.]).view([2, 2]),
            x_l: Tensor::from_slice(&[10f32, 20., 30.]).view([3, 1]),
            picture: Tensor::from_slice(&[0i64, 0, 1, 1]),
            text: Tensor::from_slice(&[0i64, 1, 2, 0]),
            y: Tensor::from_slice(&[0i64, 1, 0, 1]),
        }
    }

    fn rows(features: &FeatureSet, modality: Modality) -> Vec<f32> {
        let batch = features.batch(&Tensor::arange(4, (Kind::Int64, Device::Cpu)));
        let x = if modality == Modality::Image { batch.x_v } else { batch.x_l };
        Vec::try_from(x.contiguous().view(-1)).unwrap()
    }

    #[test]
    fn masked_samples_alone_lose_the_modality() {
        let mask = [false, true, false, true];
        let without_image = without(&features(), Modality::Image, &mask, None).unwrap();
        assert_eq!(rows(&without_image, Modality::Image), [1., 2., 0., 0., 3., 4., 0., 0.]);
        assert_eq!(rows(&without_image, Modality::Text), rows(&features(), Modality::Text));
        let blank = Tensor::from_slice(&[-1f32]).view([1, 1]);
        let without_text = without(&features(), Modality::Text, &mask, Some(&blank)).unwrap();
        assert_eq!(rows(&without_text, Modality::Text), [10., -1., 30., -1.]);
        assert!(without(&features(), Modality::Text, &mask[..3], None).is_err());
        assert!(without(&features(), Modality::Image, &mask, Some(&blank)).is_err());
    }

    #[test]
    fn noisy_features_belong_to_samples() {
        let noisy = Tensor::from_slice(&[5f32, 6., 7., 8.]).view([4, 1]);
        let replaced_text = replaced(&features(), Modality::Text, noisy.copy()).unwrap();
        assert_eq!(rows(&replaced_text, Modality::Text), [5., 6., 7., 8.]);
        assert!(replaced(&features(), Modality::Image, noisy).is_err());
    }
}
