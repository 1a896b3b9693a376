//! The types a tensor may have, and how their values are packed into blocks.

/// A type of tensor: `ggml_type` and its traits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// The number of `ggml_type`.
    pub id: u32,
    pub name: &'static str,
    /// Elements of a block, and its bytes.
    pub block: u64,
    pub bytes: u64,
}

impl Kind {
    pub const F32: Kind = t(0, "F32", 1, 4);

    pub fn of_id(id: u32) -> Option<Kind> {
        KINDS.iter().copied().find(|kind| kind.id == id)
    }

    /// By its name in upper case, such as `Q4_K`.
    pub fn of_name(name: &str) -> Option<Kind> {
        KINDS.iter().copied().find(|kind| kind.name == name)
    }

    /// Bytes of `elements` elements, a whole number of blocks; `None` when they are more than can be.
    pub fn size(&self, elements: u64) -> Option<u64> {
        (elements / self.block).checked_mul(self.bytes)
    }
}

const fn t(id: u32, name: &'static str, block: u64, bytes: u64) -> Kind {
    Kind { id, name, block, bytes }
}

/// From ggml.h and ggml-common.h of the llama.cpp in use.
#[rustfmt::skip]
const KINDS: &[Kind] = &[
    t(0, "F32", 1, 4), t(1, "F16", 1, 2), t(2, "Q4_0", 32, 18), t(3, "Q4_1", 32, 20), t(6, "Q5_0", 32, 22),
    t(7, "Q5_1", 32, 24), t(8, "Q8_0", 32, 34), t(9, "Q8_1", 32, 36), t(10, "Q2_K", 256, 84), t(11, "Q3_K", 256, 110),
    t(12, "Q4_K", 256, 144), t(13, "Q5_K", 256, 176), t(14, "Q6_K", 256, 210), t(15, "Q8_K", 256, 292),
    t(16, "IQ2_XXS", 256, 66), t(17, "IQ2_XS", 256, 74), t(18, "IQ3_XXS", 256, 98), t(19, "IQ1_S", 256, 50),
    t(20, "IQ4_NL", 32, 18), t(21, "IQ3_S", 256, 110), t(22, "IQ2_S", 256, 82), t(23, "IQ4_XS", 256, 136),
    t(24, "I8", 1, 1), t(25, "I16", 1, 2), t(26, "I32", 1, 4), t(27, "I64", 1, 8), t(28, "F64", 1, 8),
    t(29, "IQ1_M", 256, 56), t(30, "BF16", 1, 2), t(34, "TQ1_0", 256, 54), t(35, "TQ2_0", 256, 66),
    t(39, "MXFP4", 32, 17), t(40, "NVFP4", 64, 36), t(41, "Q1_0", 128, 18), t(42, "Q2_0", 64, 18),
];
