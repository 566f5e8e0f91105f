/** What the page of `toeplitz look` shows, as data. */
import type { PngImage } from '../../formats/png.js'
import type { Prediction } from '../../classifier/index.js'
import type { LayerSparsity } from '../../vision/sparsity.js'

/** A picture of numbers on a page. */
export interface Drawn {
  readonly picture: PngImage
  /** Screen pixels for a number. */
  readonly zoom: number
  /** What is to be seen, in words. */
  readonly alt: string
}

/** A picture that the model was shown, what it said, and why. */
export interface SeenPicture {
  readonly name: string
  readonly image: Drawn
  /** The right class, where it is known. */
  readonly label: string | undefined
  /** The most probable classes first. */
  readonly top: readonly Prediction[]
  /** The class that is explained: the right one, or the most probable. */
  readonly explained: string
  /** Its probability. */
  readonly probability: number
  /** Rows and columns of the patch that covers. */
  readonly patch: readonly [number, number]
  readonly occlusion: Drawn
  /** How much the probability rises and falls at most: the ends of the palette. */
  readonly drop: number
  readonly saliency: Drawn
}

/** The first weights. */
export interface ShownWeights {
  readonly layer: string
  readonly kind: 'filters' | 'templates'
  readonly image: Drawn
  /** How many there are, what of them is shown and on which scale. */
  readonly about: string
  /** The ends of the palette, where it is one for all. */
  readonly limit: number | undefined
}

/** A layer whose feature maps are looked at. */
export interface LayerTitle {
  /** Name of the node whose values are shown. */
  readonly name: string
  /** The convolution and what follows it, such as `conv(5, 32), relu`. */
  readonly title: string
}

/** The feature maps of one layer for each picture. */
export interface LayerMaps extends LayerTitle {
  readonly about: string
  readonly images: readonly Drawn[]
}

/** The strongest patches of a map, and what of them it responds to. */
export interface ShownUnit {
  readonly map: number
  readonly response: number
  readonly patches: Drawn
  readonly reconstructions: Drawn | undefined
}

/** The same of a layer. */
export interface LayerUnits extends LayerTitle {
  readonly about: string
  readonly units: readonly ShownUnit[]
}

/** Filters found again from noise. */
export interface FoundLayer extends LayerTitle {
  readonly about: string
  readonly found: Drawn
  /** The weights themselves, where the units see one layer alone. */
  readonly weights: Drawn | undefined
}

/** Linear regions on a plane through three pictures. */
export interface ShownRegions {
  readonly image: Drawn
  readonly about: string
}

/** Everything on the page. */
export interface LookData {
  readonly model: string
  readonly command: string
  readonly version: string
  /** Shape of one input. */
  readonly input: readonly number[]
  readonly layers: number
  readonly parameters: number
  /** Where the many pictures come from, and how many they are. */
  readonly source: string
  readonly images: number
  readonly seen: readonly SeenPicture[]
  readonly weights: ShownWeights | undefined
  readonly maps: readonly LayerMaps[]
  readonly units: readonly LayerUnits[]
  readonly found: readonly FoundLayer[]
  readonly sparsity: readonly LayerSparsity[]
  readonly regions: ShownRegions | undefined
  /** What is not shown, and why. */
  readonly leftOut: readonly string[]
}
