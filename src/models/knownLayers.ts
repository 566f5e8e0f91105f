/** Classes of layers besides those of the main entry, with which commands and workers read models. */
import * as more from '../layers/index.js'
import { Imported } from './onnx/index.js'

export const knownLayers = { ...more, Imported }
