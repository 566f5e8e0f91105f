/** The order in which nodes of a file can be computed. */

/**
 * Places 0 to count − 1 so that each comes after those that it needs, and else as they are; `circle` is one that needs itself
 * through others, if there is such.
 */
export function inOrder(
  count: number,
  needs: (place: number) => readonly number[],
): { readonly order: readonly number[]; readonly circle: number | undefined } {
  const order: number[] = []
  /** 0: not met yet; 1: waits for others; 2: in the order. */
  const states = new Uint8Array(count)
  for (let first = 0; first < count; first++) {
    // A list of its own instead of calls: a chain may be as long as a file.
    const open = [first]
    for (let place = open.at(-1); place !== undefined; place = open.at(-1)) {
      if (states[place] === 2) {
        open.pop()
        continue
      }
      const missing = needs(place).filter((needed) => states[needed] !== 2)
      const circular = missing.find((needed) => states[needed] === 1 || needed === place)
      if (circular !== undefined) return { order, circle: circular }
      if (missing.length === 0) {
        states[place] = 2
        order.push(place)
        open.pop()
        continue
      }
      states[place] = 1
      // The last is met first.
      open.push(...missing.reverse())
    }
  }
  return { order, circle: undefined }
}
