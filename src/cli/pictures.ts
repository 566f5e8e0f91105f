/** Pictures on pages, and the numbers beside them. */
import { encodePng, type PngImage } from '../formats/png.js'
import { diverging } from '../vision/palette.js'
import { formatPercent } from './numbers.js'

/** A picture as the address of an image, with all of its bytes. */
export const pngSource = (picture: PngImage): string =>
  `data:image/png;base64,${Buffer.from(encodePng(picture)).toString('base64')}`

/** The palette of signed numbers, with what its ends mean. */
export function colourScale(low: number, high: number): string {
  const gradient = Array.from({ length: 11 }, (_, stop) => `rgb(${diverging(stop / 10).join(' ')})`).join(', ')
  return `<p class="scale"><span>${formatWeight(low)}</span><i style="background:linear-gradient(to right, ${gradient})"></i>\
<span>${formatWeight(high)}</span></p>`
}

/** (C, H, W) to (H, W, C). */
export function interleaved(pixels: Uint8Array, channels: number): Uint8Array {
  const size = pixels.length / channels
  return Uint8Array.from(pixels, (_, index) => pixels[(index % channels) * size + Math.floor(index / channels)] ?? 0)
}

/** A probability, in which no rounding makes a certainty of what is none. */
export function formatSure(probability: number): string {
  if (probability > 0.999 && probability < 1) return '&gt;\u00a099.9\u00a0%'
  if (probability > 0 && probability < 0.001) return '&lt;\u00a00.1\u00a0%'
  return formatPercent(probability, 1)
}

export const formatWeight = (weight: number): string => weight.toFixed(3).replace('-', '\u2212')
