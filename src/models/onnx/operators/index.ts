/** The table of operators: each row says what an operator means, by the first opset that has it in that meaning. */
import type { Rows } from '../row.js'
import { control } from './control.js'
import { detection } from './detection.js'
import { elementwise } from './elementwise.js'
import { functions } from './functions.js'
import { layout } from './layout.js'
import { places } from './places.js'
import { quantized } from './quantized.js'
import { recurrent } from './recurrent.js'
import { reductions } from './reductions.js'
import { resampling } from './resampling.js'
import { sums } from './sums.js'
import { windows } from './windows.js'

export const operators: Rows = {
  ...control,
  ...windows,
  ...sums,
  ...elementwise,
  ...layout,
  ...functions,
  ...reductions,
  ...places,
  ...resampling,
  ...detection,
  ...recurrent,
  ...quantized,
}

export { contributed, CONTRIBUTED } from './contributed.js'
