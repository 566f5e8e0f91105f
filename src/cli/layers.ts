/** Classes of layers besides those of the main entry that the commands read models with. */
import * as more from '../layers/index.js'
import { Imported } from '../models/onnx/index.js'

export const layers = { ...more, Imported }
