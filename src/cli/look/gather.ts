/** Computes what the page of `toeplitz look` shows. */
import type { Prediction } from '../../classifier/index.js'
import type { Preprocessing } from '../../io/preprocessing.js'
import type { Graph } from '../../nn/graph.js'
import { UnsupportedError } from '../../runtime/errors.js'
import { softmax } from '../../ops/softmax.js'
import { tensor } from '../../tensor/create.js'
import { sizeOf } from '../../tensor/shape.js'
import { scope, type Tensor } from '../../tensor/tensor.js'
import { deconvolve } from '../../vision/deconvolve.js'
import { pictureWeights } from '../../vision/firstWeights.js'
import { occlusionMap } from '../../vision/occlusion.js'
import { heatMap } from '../../vision/overlay.js'
import { gray } from '../../vision/palette.js'
import { reverseCorrelation } from '../../vision/reverseCorrelation.js'
import { saliencyMap } from '../../vision/saliency.js'
import { sparsity, type LayerSparsity } from '../../vision/sparsity.js'
import { cutOut, strongestPatches, type StrongPatch } from '../../vision/strongest.js'
import { rangeOf, tileGrid } from '../../vision/tiles.js'
import { mapUnits, type MapUnits } from '../../vision/units.js'
import { counted, formatCount } from '../numbers.js'
import { formatWeight } from '../pictures.js'
import { drawFilters, drawMaps, drawPictures, drawSigned, seenPixels, seenSigns, zoomTo } from './draw.js'
import type { LookInputs, ShownPicture } from './inputs.js'
import type { LookedLayer } from './layers.js'
import type { FoundLayer, LayerMaps, LayerUnits, SeenPicture, ShownUnit, ShownWeights } from './records.js'

/** Side of the pictures of one answer, in screen pixels, at least. */
const SIDE = 168
/** Maps of which the strongest patches are shown, and patches of each. */
const [UNITS, PATCHES] = [8, 9]
/** Maps of a layer that are shown, and found again from noise. */
const [MAPS, FOUND] = [64, 32]
/** Patches of noise, and the most numbers that one may have: of larger ones, so many patches would show nothing but noise. */
const [NOISE, NOISY] = [8192, 4096]
/** Places of an occlusion map at most, along each direction: each costs a pass through the model. */
const PLACES = 32
/** From this many pixels on a picture is a large one, of which half as many along each direction are computed. */
const LARGE = 64 * 64

/** How many of so many are computed along each direction. */
export const alongEach = (count: number, [, H, W]: Look['shape']): number => (H * W > LARGE ? count / 2 : count)

/** What is looked at, and how. */
export interface Look {
  readonly model: Graph
  readonly classes: readonly string[]
  readonly preprocessing: Preprocessing
  readonly shape: readonly [C: number, H: number, W: number]
  readonly inputs: LookInputs
  readonly layers: readonly LookedLayer[]
  readonly seed: number
  /** Told what is computed. */
  readonly note: (line: string) => void
  /** Told what is not shown, and why. */
  readonly leaveOut: (line: string) => void
}

/** The five most probable classes, what is covered and what the score depends on, for each picture. */
export function seenPictures(look: Look): SeenPicture[] {
  return look.inputs.shown.map((picture, n) => {
    look.note(`picture ${n + 1} of ${look.inputs.shown.length}: classes, occlusion and saliency`)
    return scope(() => seenPicture(look, picture))
  })
}

function topOf({ model, classes }: Look, x: Tensor): Prediction[] {
  const probabilities = softmax(model.forward(x, { training: false })).data()
  const order = Array.from(probabilities.keys()).sort((a, b) => probabilities[b]! - probabilities[a]! || a - b)
  return order.slice(0, 5).map((index) => ({ label: classes[index] as string, probability: probabilities[index]! }))
}

function seenPicture(look: Look, { name, values, label }: ShownPicture): SeenPicture {
  const { model, preprocessing, shape, classes } = look
  const [, H, W] = shape
  const x = tensor(values, [1, ...shape])
  const top = topOf(look, x)
  const target = label ?? classes.indexOf((top[0] as Prediction).label)
  const explained = classes[target] as string
  const size = [H, W].map((extent) => Math.max(3, Math.round(extent / 5))) as [number, number]
  const stride = [H, W].map((extent) => Math.ceil(extent / alongEach(PLACES, shape)))
  const covered = occlusionMap(model, x, { target, size, stride })
  const [, drop] = rangeOf(covered.values)
  const zoom = zoomTo(Math.max(H, W), SIDE)
  const pixels = seenPixels(values, preprocessing, H * W)
  const saliency = saliencyMap(model, x, { target })
  return {
    name,
    image: drawPictures(pixels, [1, ...shape], { zoom, alt: `${name}, as the model sees it` }),
    label: label === undefined ? undefined : explained,
    ...{ top, explained, patch: size, drop },
    probability: covered.probability,
    occlusion: {
      picture: heatMap({ shape, values: pixels }, covered),
      zoom,
      alt: `Occlusion: covering a place lowers (red) or raises (blue) the probability of ${explained} by up to ${drop.toFixed(2)}`,
    },
    saliency: {
      picture: tileGrid(saliency, { range: 'positive', palette: gray }),
      zoom,
      alt: `Saliency: the brighter a pixel, the more the score of ${explained} depends on it`,
    },
  }
}

/** Filters of a first convolution, or templates of a first fully connected layer. @throws UnsupportedError where there are none */
export function firstWeights({ model, preprocessing }: Pick<Look, 'model' | 'preprocessing'>): ShownWeights {
  const { layer, kind, shape, values } = pictureWeights(model)
  const [K, C, R, S] = shape
  const shown = Math.min(K, kind === 'filters' ? 256 : 64)
  const [, limit] = rangeOf(values)
  const cut = seenSigns(values.subarray(0, shown * C * R * S), preprocessing, R * S)
  const about = [
    `${counted(K, kind === 'filters' ? 'filter' : 'template')} of ${R} × ${S} pixels`,
    C === 3
      ? ' in red, green and blue, each from its least weight (dark) to its greatest (bright)'
      : `${C === 1 ? '' : ` over ${C} channels`}, all on one scale`,
    shown < K ? `; the first ${shown} are shown.` : '.',
  ].join('')
  const noun = kind === 'filters' ? 'Filters' : 'Templates'
  return {
    ...{ layer, kind, about },
    image: drawFilters(cut, [shown, C, R, S], { width: 720, alt: `${noun} of ${layer}: ${about}` }),
    limit: C === 3 ? undefined : limit,
  }
}

/** The maps of every layer for every picture. */
export function featureMaps(look: Look): LayerMaps[] {
  const { model, inputs, layers, shape } = look
  const names = layers.map(({ name }) => name)
  if (names.length > 0) look.note('feature maps')
  const outputs = inputs.shown.map(({ values }) =>
    scope(() => {
      const found = model.run(tensor(values, [1, ...shape]), names, { training: false })
      return names.map((name) => ({ shape: (found[name] as Tensor).shape, values: (found[name] as Tensor).data() }))
    }),
  )
  return layers.map(({ name, title, maps }, index) => {
    const shown = Math.min(maps, MAPS)
    const [, , P = 1, Q = 1] = outputs[0]?.[index]?.shape ?? []
    return {
      ...{ name, title },
      about: `${counted(maps, 'map')} of ${P} × ${Q}${shown < maps ? `, of which the first ${shown} are shown` : ''}.`,
      images: outputs.map((of, n) => {
        const { values } = of[index] as { readonly values: Float32Array }
        const name = `Feature maps of ${title} for ${inputs.shown[n]?.name ?? ''}`
        return drawMaps(values.subarray(0, shown * P * Q), [shown, P, Q], name)
      }),
    }
  })
}

/** Numbers of the maps that are shown: of those that respond, at equal distances. */
function chosenMaps(maps: number, dead: readonly number[]): number[] {
  const alive = Array.from({ length: maps }, (_, map) => map).filter((map) => !dead.includes(map))
  const count = Math.min(UNITS, alive.length)
  return Array.from({ length: count }, (_, n) => alive[Math.floor((n * alive.length) / count)] as number)
}

/** For each layer the strongest patches of some maps, and what of each patch the map responds to. */
export function layerUnits(look: Look, sparse: readonly LayerSparsity[]): LayerUnits[] {
  const { model, inputs, layers, shape } = look
  return layers.flatMap(({ name, title, maps, field }): LayerUnits[] => {
    const dead = sparse.find((row) => row.name === name)?.dead ?? []
    const wanted = chosenMaps(maps, dead)
    look.note(`strongest patches of ${title} among ${counted(inputs.size, 'picture')}`)
    if (wanted.length === 0) {
      look.leaveOut(`Patches of ${title}: none of its maps responds to any of the pictures.`)
      return []
    }
    const found = strongestPatches(model, inputs.batches(), { layer: name, count: PATCHES, maps: wanted })
    look.note(`reconstructions of ${title}`)
    let refused: string | undefined
    const units = found.map(({ map, patches }): ShownUnit => {
      const alive = patches.filter(({ response }) => response !== 0)
      const kept = alive.length > 0 ? alive : patches
      const patchShape = (kept[0] as StrongPatch).shape
      const [C, R, S] = patchShape
      const all = new Float32Array(kept.length * C * R * S)
      const signs = new Float32Array(all.length)
      kept.forEach((patch, n) => {
        all.set(seenPixels(patch.values, look.preprocessing, R * S), n * C * R * S)
        if (refused !== undefined) return
        const back = reconstruction(look, name, map, patch)
        if (typeof back === 'string') refused = back
        else signs.set(seenSigns(back, look.preprocessing, R * S), n * C * R * S)
      })
      const tiles = [kept.length, C, R, S]
      const zoom = Math.min(8, zoomTo(3 * S, 152))
      const of = `map ${map} of ${title}`
      const response = (kept[0] as StrongPatch).response
      return {
        ...{ map, response },
        patches: drawPictures(all, tiles, { zoom, columns: 3, alt: `The ${kept.length} patches to which ${of} responds most, up to ${formatWeight(response)}` }),
        reconstructions:
          refused === undefined
            ? drawSigned(signs, tiles, { zoom, columns: 3, alt: `What of each patch ${of} responds to, carried back to the pixels` })
            : undefined,
      } // prettier-ignore
    })
    if (refused !== undefined) look.leaveOut(`Reconstructions of ${title}: ${refused}.`)
    const seesAll = field[0] >= shape[1] && field[1] >= shape[2]
    const sees = seesAll ? 'A unit sees the whole picture.' : `A unit sees ${field[0]} × ${field[1]} pixels.`
    const silent =
      dead.length === 0 ? '' : ` ${counted(dead.length, 'map')} of ${maps} responds to none of the pictures.`
    return [
      {
        name,
        title,
        about: `${sees} ${units.length === maps ? `All ${counted(maps, 'map')}` : `${units.length} of ${counted(maps, 'map')}`} are shown.${silent}`,
        units,
      },
    ]
  })
}

/** The part of a patch that a map responds to; or why there is none, in words. */
function reconstruction(look: Look, layer: string, map: number, patch: StrongPatch): Float32Array | string {
  const { model, inputs, shape } = look
  try {
    return scope(() => {
      const x = tensor(inputs.picture(patch.picture), shape)
      const { values } = deconvolve(model, x, { layer, map, place: patch.place })
      return cutOut(values, shape, patch)
    })
  } catch (error) {
    if (error instanceof UnsupportedError) return error.message.replace(/^deconvolve: /, '')
    throw error
  }
}

/** The units of a layer; or, in words, why it has none. */
function unitsOf(model: Graph, name: string): MapUnits | string {
  try {
    return mapUnits(model, name)
  } catch (error) {
    if (!(error instanceof UnsupportedError)) throw error
    return error.message.replace(/^mapUnits: /, '')
  }
}

/**
 * Filters found again from noise: of the first layer that is shown, beside its weights, and of the second. Units of deep layers
 * are asked before their nonlinearity, since noise hardly makes one rise above a threshold.
 */
export function foundFilters(look: Look): FoundLayer[] {
  const { model, layers, preprocessing, seed } = look
  return layers.slice(0, 2).flatMap((layer, index): FoundLayer[] => {
    const { convolution } = layer
    const bare = index > 0 && convolution ? { name: convolution.name, title: convolution.layer.describe() } : layer
    const { name, title } = bare
    const units = unitsOf(model, name)
    if (typeof units === 'string') {
      look.leaveOut(`Filters of ${title} found from noise: ${units}.`)
      return []
    }
    const { shape, respond } = units
    if (sizeOf(shape) > NOISY) {
      look.leaveOut(
        `Filters of ${title} found from noise: a unit sees ${shape.join(' × ')} numbers, for which too much noise would be needed.`,
      )
      return []
    }
    look.note(`reverse correlation of ${title} with ${formatCount(NOISE)} patches of noise`)
    const found = reverseCorrelation(respond, { shape, count: NOISE, seed })
    const [K = 1, C = 1, R = 1, S = 1] = found.shape
    const shown = Math.min(K, C === 1 || C === 3 ? FOUND : 4)
    const size = C * R * S
    const drawn = (values: Float32Array, what: string) =>
      drawFilters(seenSigns(values.subarray(0, shown * size), preprocessing, R * S), [shown, C, R, S], {
        width: 340,
        alt: `${what} of ${title}`,
      })
    const weight = convolution && model.namedState().get(`${convolution.name}.weight`)
    const isSame = weight !== undefined && weight.shape.join() === found.shape.join()
    const weights = isSame ? weight.data() : undefined
    const most = shown < K ? `; the first ${shown} are shown` : ''
    const alike = weights
      ? `their correlation with the weights is ${meanCorrelation(weights, found.values, size).toFixed(3)} on average`
      : 'a unit of a deep layer has no weights over pixels: this is the mean of what it rises with'
    const about = `${counted(K, 'filter')} of ${R} × ${S} pixels from ${formatCount(NOISE)} patches of white noise; ${alike}${most}.`
    return [
      {
        name,
        title,
        about,
        found: drawn(found.values, 'Filters found again from noise'),
        weights: weights && drawn(weights, 'Weights'),
      },
    ]
  })
}

/** The mean of the correlations of filters with others; filters without extent do not count. */
function meanCorrelation(a: Float32Array, b: Float32Array, size: number): number {
  const each: number[] = []
  for (let begin = 0; begin < a.length; begin += size) {
    const [x, y] = [a, b].map((all) => centred(all.subarray(begin, begin + size))) as [Float64Array, Float64Array]
    const product = (p: Float64Array, q: Float64Array): number =>
      p.reduce((sum, value, i) => sum + value * (q[i] as number), 0)
    const extent = Math.sqrt(product(x, x) * product(y, y))
    if (extent > 0) each.push(product(x, y) / extent)
  }
  return each.length === 0 ? 0 : each.reduce((sum, value) => sum + value, 0) / each.length
}

function centred(values: Float32Array): Float64Array {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  return Float64Array.from(values, (value) => value - mean)
}

/** Zeros and dead units over all pictures. */
export function layerSparsity({ model, inputs, note }: Look): LayerSparsity[] {
  note(`sparsity over ${counted(inputs.size, 'picture')}`)
  return sparsity(model, inputs.batches())
}
