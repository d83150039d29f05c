//! Pillow's resize, to the last bit, since published work resized its pictures with it.
//!
//! The filter widens with the shrink factor (antialias), both passes work on bytes, horizontal first, and round in
//! between; weights are fixed-point numbers with 22 fractional bits. Source:
//! <https://github.com/python-pillow/Pillow/blob/d374015504df2c7f0316154deade1bc1fa5075df/src/libImaging/Resample.c>

use super::Rgb;

/// The filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    Bilinear,
    /// a = −½.
    Bicubic,
}

impl Filter {
    #[inline]
    fn radius(self) -> f64 {
        match self {
            Filter::Bilinear => 1.0,
            Filter::Bicubic => 2.0,
        }
    }

    #[inline]
    fn at(self, x: f64) -> f64 {
        let x = x.abs();
        match self {
            Filter::Bilinear => (1.0 - x).max(0.0),
            Filter::Bicubic => {
                const A: f64 = -0.5;
                match x {
                    x if x < 1.0 => ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0,
                    x if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * A,
                    _ => 0.0,
                }
            }
        }
    }
}

const BITS: u32 = 22;

/// For each output position, the first input position and the weights from there on.
#[derive(Debug)]
struct Weights {
    starts: Vec<usize>,
    /// `width` per output, padded with zeros.
    weights: Vec<i32>,
    width: usize,
}

impl Weights {
    fn new(input: usize, output: usize, filter: Filter) -> Self {
        let scale = input as f64 / output as f64;
        let stretch = scale.max(1.0);
        let support = filter.radius() * stretch;
        let rows: Vec<(usize, Vec<f64>)> = (0..output)
            .map(|x| {
                let centre = (x as f64 + 0.5) * scale;
                let low = (centre - support + 0.5).max(0.0) as usize;
                let high = ((centre + support + 0.5) as usize).min(input);
                (low, (low..high).map(|j| filter.at((j as f64 - centre + 0.5) / stretch)).collect())
            })
            .collect();
        let width = rows.iter().map(|(_, weights)| weights.len()).max().unwrap_or(1);
        let (mut starts, mut weights) = (Vec::with_capacity(output), vec![0; output * width]);
        for (fixed, (low, real)) in weights.chunks_exact_mut(width).zip(rows) {
            let sum: f64 = real.iter().sum();
            for (fixed, weight) in fixed.iter_mut().zip(&real) {
                *fixed = (weight / sum * f64::from(1 << BITS)).round() as i32;
            }
            // A row of weights never reaches over the end, so that a pass needs no bounds of its own.
            let start = low.min(input - width);
            fixed.rotate_right(low - start);
            starts.push(start);
        }
        Weights { starts, weights, width }
    }

    /// For each output position, the first input position and the weights, `N` of them.
    #[inline]
    fn each<const N: usize>(&self) -> impl Iterator<Item = (usize, &[i32; N])> {
        let weights = self.weights.chunks_exact(self.width).filter_map(|row| row.first_chunk());
        self.starts.iter().copied().zip(weights)
    }

    /// For each output position, the first input position and the weights, however many.
    #[inline]
    fn each_of_any(&self) -> impl Iterator<Item = (usize, &[i32])> {
        self.starts.iter().copied().zip(self.weights.chunks_exact(self.width))
    }
}

const HALF: i32 = 1 << (BITS - 1);

// Sums stay below 2³¹: the weights' magnitudes sum to less than 1.5 · 2²², times 255. Wrapping operations say to the
// compiler that it need not check, so that the loops become vector code.
#[inline]
fn add(sum: i32, weight: i32, value: u8) -> i32 {
    sum.wrapping_add(weight.wrapping_mul(i32::from(value)))
}

#[inline]
fn to_byte(sum: i32) -> u8 {
    (sum >> BITS).clamp(0, 255) as u8
}

/// Resizes pictures of one size to another; made once, used for many.
#[derive(Debug)]
pub struct Resizer {
    from: (usize, usize),
    to: (usize, usize),
    horizontal: Option<Weights>,
    vertical: Option<Weights>,
}

impl Resizer {
    /// From and to (width, height), neither of which may be 0.
    pub fn new(from: (usize, usize), to: (usize, usize), filter: Filter) -> Self {
        let pass = |from: usize, to: usize| (from != to).then(|| Weights::new(from, to, filter));
        Resizer { from, to, horizontal: pass(from.0, to.0), vertical: pass(from.1, to.1) }
    }

    /// The size (width, height) that it resizes from.
    pub fn from(&self) -> (usize, usize) {
        self.from
    }

    /// The resized picture.
    ///
    /// # Panics
    /// If the picture does not have the size that the resizer was made for.
    pub fn resize(&self, picture: &Rgb) -> Rgb {
        assert_eq!((picture.width, picture.height), self.from, "the picture's size");
        let wide = self.horizontal.as_ref().map(|weights| self.horizontally(weights, &picture.bytes));
        let tall = |wide: &[u8]| self.vertical.as_ref().map(|weights| self.vertically(weights, wide));
        let bytes = match wide {
            Some(wide) => tall(&wide).unwrap_or(wide),
            None => tall(&picture.bytes).unwrap_or_else(|| picture.bytes.clone()),
        };
        Rgb { width: self.to.0, height: self.to.1, bytes }
    }

    // The usual numbers of weights are known to the compiler, which then keeps sums in registers: enlarging takes 2
    // (bilinear) or 4 (bicubic), shrinking by less than a factor of 2 up to 4 (bilinear).

    fn horizontally(&self, weights: &Weights, input: &[u8]) -> Vec<u8> {
        let mut output = vec![0; self.to.0 * self.from.1 * 3];
        let rows = output.chunks_exact_mut(self.to.0 * 3).zip(input.chunks_exact(self.from.0 * 3));
        for (out, row) in rows {
            match weights.width {
                2 => row_of(weights.each::<2>(), row, out),
                3 => row_of(weights.each::<3>(), row, out),
                4 => row_of(weights.each::<4>(), row, out),
                _ => row_of(weights.each_of_any(), row, out),
            }
        }
        output
    }

    fn vertically(&self, weights: &Weights, input: &[u8]) -> Vec<u8> {
        let stride = self.to.0 * 3;
        let mut output = vec![0; stride * self.to.1];
        match weights.width {
            2 => rows_of::<2>(weights, input, stride, &mut output),
            3 => rows_of::<3>(weights, input, stride, &mut output),
            4 => rows_of::<4>(weights, input, stride, &mut output),
            _ => rows_of_any(weights, input, stride, &mut output),
        }
        output
    }
}

#[inline]
fn row_of<W: AsRef<[i32]>>(weights: impl Iterator<Item = (usize, W)>, row: &[u8], out: &mut [u8]) {
    let (pixels, _) = row.as_chunks::<3>();
    let (out, _) = out.as_chunks_mut::<3>();
    for (pixel, (start, weights)) in out.iter_mut().zip(weights) {
        let weights = weights.as_ref();
        let sources = &pixels[start..start + weights.len()];
        let mut sums = [HALF; 3];
        for n in 0..weights.len() {
            for c in 0..3 {
                sums[c] = add(sums[c], weights[n], sources[n][c]);
            }
        }
        for c in 0..3 {
            pixel[c] = to_byte(sums[c]);
        }
    }
}

#[inline]
fn rows_of<const N: usize>(weights: &Weights, input: &[u8], stride: usize, output: &mut [u8]) {
    for (out, (start, weights)) in output.chunks_exact_mut(stride).zip(weights.each::<N>()) {
        let sources: [&[u8]; N] = std::array::from_fn(|n| &input[(start + n) * stride..][..stride]);
        for (i, out) in out.iter_mut().enumerate() {
            let sum = (0..N).fold(HALF, |sum, n| add(sum, weights[n], sources[n][i]));
            *out = to_byte(sum);
        }
    }
}

fn rows_of_any(weights: &Weights, input: &[u8], stride: usize, output: &mut [u8]) {
    let mut sums = vec![0i32; stride];
    for (out, (start, weights)) in output.chunks_exact_mut(stride).zip(weights.each_of_any()) {
        sums.fill(HALF);
        for (&weight, row) in weights.iter().zip(input[start * stride..].chunks_exact(stride)) {
            sums.iter_mut().zip(row).for_each(|(sum, &c)| *sum = add(*sum, weight, c));
        }
        out.iter_mut().zip(&sums).for_each(|(out, &sum)| *out = to_byte(sum));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensors::from_safetensors;
    use crate::testing;

    /// Pillow 12's own bytes, all sizes and both filters.
    #[test]
    fn pillow_gives_the_same_bytes() {
        let file = std::fs::read(testing::fixtures("preprocess").join("small.safetensors")).unwrap();
        let tensors = from_safetensors(&file).unwrap();
        let picture = |tensor: &tch::Tensor| {
            let size = tensor.size();
            let bytes: Vec<u8> = tensor.view(-1).try_into().unwrap();
            Rgb { width: size[1] as usize, height: size[0] as usize, bytes }
        };
        let mut compared = 0;
        for (name, expected) in tensors.iter().filter(|(name, _)| name.starts_with("resize.")) {
            let [_, number, filter, _size] = name.split('.').collect::<Vec<_>>()[..] else { continue };
            let input = picture(&tensors[&format!("resize.{number}.input")]);
            let expected = picture(expected);
            let filter = if filter == "bicubic" { Filter::Bicubic } else { Filter::Bilinear };
            let resizer = Resizer::new((input.width, input.height), (expected.width, expected.height), filter);
            assert!(resizer.resize(&input) == expected, "{name}");
            compared += 1;
        }
        assert!(compared >= 10, "only {compared} sizes were compared");
    }
}
