/** The linear regions of a network of rectifiers, as the page of `toeplitz look` shows them. */
import { UnsupportedError } from '../../runtime/errors.js'
import { tensor } from '../../tensor/create.js'
import { scope, type Tensor } from '../../tensor/tensor.js'
import { linearRegions, regionPicture, type LinearRegions } from '../../vision/regions.js'
import { counted, formatCount } from '../numbers.js'
import { alongEach, type Look } from './gather.js'
import type { ShownRegions } from './records.js'

/** Points of the plane along each direction: each costs a pass through the model. */
const POINTS = 96
/** Points that a region is to have on average, to be seen as an area: of smaller regions the picture shows nothing but noise. */
const SEEN = 8
/**
 * Half the side of the squares of the plane, around (½, ½), in distances of the pictures: the first shows all three pictures, the last
 * is as small as float32 can still tell its points apart.
 */
const HALVES = [1, 1 / 8, 1 / 64, 1 / 512]

/** Regions of the last layer that bends, on the plane through three pictures, or on a small square of it where they are small. */
export function shownRegions(look: Look): ShownRegions | undefined {
  const { model, inputs, shape } = look
  const last = model.nodes.filter(({ layer }) => ['ReLU', 'LeakyReLU', 'ReLU6'].includes(layer.type)).at(-1)
  const points = inputs.shown.slice(0, 3)
  if (!last) {
    look.leaveOut('Linear regions: the model has no rectifier.')
    return undefined
  }
  if (points.length < 3) {
    look.leaveOut('Linear regions: three pictures are needed, through which a plane goes; name more.')
    return undefined
  }
  const size = alongEach(POINTS, shape)
  const names = points.map(({ name }) => name)
  try {
    return scope(() => {
      const plane = points.map(({ values }) => tensor(values, shape)) as [Tensor, Tensor, Tensor]
      const squareOf = (half: number): { half: number; regions: LinearRegions } => {
        look.note(
          `linear regions at ${size} × ${size} points${half < 1 ? `, of a square of 1/${1 / half} of the side` : ''}`,
        )
        const range = [0.5 - half, 0.5 + half] as const
        return { half, regions: linearRegions(model, { plane, layers: [last.name], range, size }) }
      }
      const [first, ...smaller] = HALVES
      let shown = squareOf(first as number)
      const whole = shown.regions.count
      for (const half of smaller) {
        if (shown.regions.count * SEEN <= size * size) break
        shown = squareOf(half)
      }
      const { half, regions } = shown
      const where =
        half === 1
          ? `A plane through three pictures: ${names[0]} on the left below, ${names[1]} on the right below, ${names[2]} on the left above, each a quarter from the sides.`
          : `On the plane through three pictures the regions are too small to be seen: ${formatCount(size * size)} points meet ${formatCount(whole)} of them. So a small square of it is shown, around the middle between ${names[1]} and ${names[2]} and with sides of 1/${1 / (2 * half)} of the way from ${names[0]} to each of them.`
      return {
        image: {
          picture: regionPicture(regions),
          zoom: 384 / size,
          alt: `${formatCount(regions.count)} linear regions in different colours on a plane through three pictures`,
        },
        about:
          `${where} In one colour the same units of layer ${last.name}, ${last.layer.describe()}, are active. Its ` +
          `${counted(regions.units, 'unit')} cut ${half === 1 ? 'the plane' : 'the square'} into ${formatCount(regions.count)} regions or more: so many are met by ${formatCount(size * size)} points.`,
      }
    })
  } catch (error) {
    if (!(error instanceof UnsupportedError)) throw error
    look.leaveOut(`Linear regions: ${error.message.replace(/^linearRegions: /, '')}.`)
    return undefined
  }
}
