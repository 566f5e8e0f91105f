/** Weights as whole numbers of eight bits. */
import { bytesByScales } from '../formats/scaledBytes.js'
import { MOST_SUM, type Quantization } from '../ops/integers/bytes.js'

/** Weights (K, C/groups, …) in float32. */
export type Weights = { readonly dims: readonly number[]; readonly values: Float32Array }

/** Weights as int8 around 0, their scales, and the bias as int32 in the scale of the sums. */
export function quantizedWeights(
  { dims, values }: Weights,
  bias: Float32Array | undefined,
  x: Quantization,
  perChannel: boolean,
): { readonly w: Int8Array; readonly scales: Float32Array; readonly bias: Int32Array } {
  const K = dims[0] as number
  const each = values.length / K
  const scales = new Float32Array(perChannel ? K : 1)
  for (let k = 0; k < K; k++) {
    let most = 0
    for (let i = k * each; i < (k + 1) * each; i++) most = Math.max(most, Math.abs(values[i] as number))
    // A bias must fit its part of 32 bits.
    const due = Math.max(most / 127, Math.abs(bias?.[k] ?? 0) / (x.scale * (MOST_SUM / 2)), 1e-20)
    const place = perChannel ? k : 0
    scales[place] = Math.max(scales[place] as number, due)
  }
  const scaleOf = (k: number): number => scales[perChannel ? k : 0] as number
  const w = bytesByScales(values, scales)
  const whole = Int32Array.from({ length: K }, (_, k) => Math.round((bias?.[k] ?? 0) / (x.scale * scaleOf(k))))
  return { w, scales, bias: whole }
}
