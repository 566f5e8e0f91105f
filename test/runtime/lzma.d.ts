declare module 'lzma' {
  const lzma: { compress(bytes: Uint8Array, level: 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9): number[] }
  export default lzma
}
