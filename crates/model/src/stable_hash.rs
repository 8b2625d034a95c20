/// A hash that is the same on every node and in every version: nodes that hash differently would send
/// one client to different endpoints. FNV-1a, then the finalizer of MurmurHash3, since the addresses of
/// neighbours differ by a bit. No defence against keys that are made to collide.
pub fn stable_hash(bytes: &[u8]) -> u64 {
    let add = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
    let mut hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325, add);
    for factor in [0xff51_afd7_ed55_8ccd, 0xc4ce_b9fe_1a85_ec53] {
        hash = (hash ^ (hash >> 33)).wrapping_mul(factor);
    }
    hash ^ (hash >> 33)
}
