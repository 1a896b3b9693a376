//! Random values from a seed, the same ones each time: for measuring and tests.

use familiar_gguf::Kind;

/// A source of random values.
pub struct Noise(u64);

impl Noise {
    pub fn new(seed: u64) -> Noise {
        Noise(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1))
    }

    /// SplitMix64 (Steele, Lea, Flood 2014).
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// In -1..1.
    pub fn value(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    pub fn values(&mut self, len: usize) -> Vec<f32> {
        (0..len).map(|_| self.value()).collect()
    }

    /// Packed blocks of `elements` values, any that are numbers of a usual size.
    pub fn blocks(&mut self, kind: Kind, elements: usize) -> Vec<u8> {
        let mut out = vec![0.0; kind.block as usize];
        let mut blocks = vec![0; kind.size(elements as u64).expect("fits in memory") as usize];
        for block in blocks.chunks_exact_mut(kind.bytes as usize) {
            loop {
                block.fill_with(|| self.bits() as u8);
                crate::weight::dequantize(kind, block, &mut out);
                if out.iter().all(|value| value.abs() < 100.0) {
                    break;
                }
            }
        }
        blocks
    }
}
