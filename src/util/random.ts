/** Numbers of at least 0 and below 1 from xorshift32: quick, and good enough to spread load. `seed`: not 0. */
export function pseudoRandom(seed: number): () => number {
  let state = seed | 0 || 1
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) / 0x1_0000_0000
  }
}
