/** Colours for numbers: a palette is a ramp of colours over the places 0 to 1, straight lines in sRGB between its stops. */
import { ArgumentError } from '../runtime/errors.js'
import { checkList, wrongKind } from '../runtime/check.js'
import { inWords } from '../runtime/text.js'
import { checkCount } from '../runtime/options.js'

/** Red, green and blue, 0 to 255. */
export type Colour = readonly [red: number, green: number, blue: number]

/** The colour of a place from 0 to 1; places outside have the colour of the nearer end, and NaN has that of 0. */
export type Palette = (place: number) => Colour

/** A palette through colours at equal distances. @throws ShapeError without a stop, or when one is not a colour. */
export function paletteOf(stops: readonly Colour[]): Palette {
  checkCount('paletteOf', 1, arguments)
  const whole = (value: unknown): boolean => Number.isInteger(value) && Number(value) >= 0 && Number(value) <= 255
  checkList(stops, 'paletteOf: the stops', 'a list of colours')
  if (stops.length === 0) throw new ArgumentError('paletteOf: a palette needs at least one colour')
  for (const stop of stops) {
    if (!Array.isArray(stop) || stop.length !== 3 || !stop.every(whole)) {
      throw new ArgumentError(`paletteOf: a colour is three whole numbers from 0 to 255, given ${inWords(stop)}`)
    }
  }
  const last = stops.length - 1
  return (place) => {
    if (typeof place !== 'number') throw wrongKind('a palette: the place', 'a number', place)
    const at = (place > 0 ? Math.min(place, 1) : 0) * last
    const below = Math.min(Math.floor(at), Math.max(0, last - 1))
    const [from, to] = [stops[below] as Colour, stops[Math.min(below + 1, last)] as Colour]
    const mix = (channel: 0 | 1 | 2): number => Math.round(from[channel] + (to[channel] - from[channel]) * (at - below))
    return [mix(0), mix(1), mix(2)]
  }
}

/**
 * Blue below, nearly white in the middle, red above: ColorBrewer's RdBu (Brewer & Harrower), which people with any
 * common colour blindness can tell apart. For pages with a light ground.
 */
export const diverging: Palette = paletteOf([
  [5, 48, 97],
  [33, 102, 172],
  [67, 147, 195],
  [146, 197, 222],
  [209, 229, 240],
  [247, 247, 247],
  [253, 219, 199],
  [244, 165, 130],
  [214, 96, 77],
  [178, 24, 43],
  [103, 0, 31],
])

/** The same meaning on a dark ground: the middle is nearly black, and both ends are light. */
export const divergingDark: Palette = paletteOf([
  [176, 220, 255],
  [104, 172, 240],
  [58, 120, 196],
  [34, 70, 120],
  [26, 32, 42],
  [104, 44, 36],
  [186, 74, 48],
  [240, 132, 84],
  [255, 206, 164],
])

/** Black to white, the palette of pictures. */
export const gray: Palette = paletteOf([
  [0, 0, 0],
  [255, 255, 255],
])

/** White to black: light strokes become ink on paper. */
export const ink: Palette = paletteOf([
  [255, 255, 255],
  [0, 0, 0],
])
