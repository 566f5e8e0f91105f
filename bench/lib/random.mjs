// @ts-check

/**
 * `count` numbers, evenly distributed from -1 to 1, the same in every run: a linear congruential generator
 * (Numerical Recipes' constants), of which the upper bits are used.
 * @param {number} count
 * @param {number} seed
 */
export function randomNumbers(count, seed) {
  let state = seed >>> 0
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return (state >>> 8) / 2 ** 23 - 1
  })
}
