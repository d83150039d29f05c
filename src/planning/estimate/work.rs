//! How much work a step is: rough numbers, used only by estimates.

/// The work of an encoder per picture, or per token of a text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Work {
    /// Multiply-adds in billions, from the sizes of the architecture.
    pub giga: f64,
    /// Whether it convolves: that is slower per multiply-add than the matrix products of a transformer.
    pub convolution: bool,
    /// The number of features.
    pub width: u64,
}

const fn transformer(giga: f64, width: u64) -> Work {
    Work { giga, convolution: false, width }
}

const fn convolution(giga: f64, width: u64) -> Work {
    Work { giga, convolution: true, width }
}

/// The work of an image encoder per picture; another picture size than its own scales the work by the area.
pub fn of_picture(encoder: &str, size: Option<u32>) -> Work {
    let scaled = |own: f64, work: Work| {
        let share = size.map_or(1.0, |size| (f64::from(size) / own).powi(2));
        Work { giga: work.giga * share, ..work }
    };
    match encoder {
        // Twelve layers of 768, 197 tokens.
        "vit-b16-in21k" => transformer(17.6, 768),
        // The same at 384 pixels: 577 tokens.
        "blip-itm-base-coco" => transformer(55.5, 768),
        // 50 tokens.
        "clip-vit-b32" => transformer(4.4, 512),
        "resnet-50" | "resnet-50-v1" | "resnet-50-v2" => convolution(4.1, 2048),
        // Depthwise convolutions use the processor less: measured 1.5 times as slow.
        "efficientnet-lite0" => scaled(224.0, convolution(1.5 * 0.41, 1280)),
        _ => transformer(17.6, 768),
    }
}

/// The work of a text encoder per token.
pub fn of_token(encoder: &str) -> Work {
    match encoder {
        "distilbert-base-uncased" => transformer(0.0425, 768),
        "clip-vit-b32" => transformer(0.038, 512),
        "all-minilm-l6-v2" => transformer(0.0107, 384),
        // BERT, and BLIP's, which has its shape: twelve layers of 768.
        _ => transformer(0.085, 768),
    }
}

/// The mean number of tokens of a text: the mean number of words (MM-IMDb 92.5, Hateful Memes 11.7, from the papers) times
/// 1.35, plus the two at the ends.
pub fn tokens(dataset: &str) -> f64 {
    match dataset {
        "mm-imdb" => 127.0,
        "hateful-memes" | "memotion" => 20.0,
        "emoji-subgroup" | "emoji-match" | "emoji-words" => 8.0,
        _ => 25.0,
    }
}

/// The work of decoding one of a dataset's pictures, relative to a photograph of 512 × 512.
pub fn of_decoding(dataset: &str) -> f64 {
    match dataset {
        // Cut-outs of 72 × 72 from sheets that are decoded once.
        "emoji-subgroup" | "emoji-match" | "emoji-words" => 0.02,
        _ => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoders::{IMAGE_ENCODERS, TEXT_ENCODERS};

    /// Every encoder has a row of its own, or is the one that the last row describes.
    #[test]
    fn every_encoder_has_a_row() {
        let others = [transformer(17.6, 768), transformer(0.085, 768)];
        for encoder in IMAGE_ENCODERS {
            let own = encoder.name == "vit-b16-in21k" || of_picture(encoder.name, None) != others[0];
            assert!(own, "{} has no row", encoder.name);
        }
        for encoder in TEXT_ENCODERS {
            let like_bert = matches!(encoder.name, "bert-base-uncased" | "blip-itm-base-coco");
            assert!(like_bert || of_token(encoder.name) != others[1], "{} has no row", encoder.name);
        }
        let own = of_picture("efficientnet-lite0", None).giga;
        assert_eq!(of_picture("efficientnet-lite0", Some(112)).giga, own / 4.0);
    }
}
