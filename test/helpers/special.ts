/** Special functions and distances in float64, for references. */

/** Distance of a float from the exact value, in units in the last place of the exact value as a float. */
export function ulps(actual: number, exact: number): number {
  const rounded = Math.fround(exact)
  if (!Number.isFinite(rounded)) return Object.is(actual, rounded) ? 0 : Infinity
  return Math.abs(actual - exact) / spacing(exact)
}

/** Distance between neighbouring floats around x; the smallest is 2⁻¹⁴⁹. */
function spacing(x: number): number {
  return Math.max(2 ** -149, 2 ** (Math.floor(Math.log2(Math.abs(x))) - 23))
}

/** Φ(x), the normal distribution function, with small relative error in the lower tail too. */
export function normalCdf(x: number): number {
  const u = Math.abs(x)
  let tail: number
  if (u < 3) {
    // Φ(u) − ½ = φ(u)·(u + u³/3 + u⁵/(3·5) + …)
    let term = u
    let sum = u
    for (let k = 3; term > 1e-18 * sum; k += 2) {
      term *= (u * u) / k
      sum += term
    }
    tail = 0.5 - (Math.exp((-u * u) / 2) / Math.sqrt(2 * Math.PI)) * sum
  } else {
    // φ(u) / (u + 1/(u + 2/(u + 3/(u + …)))
    let fraction = u
    for (let k = 200; k > 0; k--) fraction = u + k / fraction
    tail = Math.exp((-u * u) / 2) / Math.sqrt(2 * Math.PI) / fraction
  }
  return x < 0 ? tail : 1 - tail
}
