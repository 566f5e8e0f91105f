/** The table of operators: each row says what an operator means, by the first opset that has it in that meaning. */
import type { Rows } from '../row.js'
import { control } from './control.js'
import { detection } from './detection.js'
import { elementwise } from './elementwise.js'
import { functions } from './functions.js'
import { layout } from './layout.js'
import { places } from './places.js'
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
}

/** Rows that are added to those of the table, by the set that they are of; '' is ONNX's own. */
const added = new Map<string, Rows>()

/** Adds rows that few models need, in place of those of the same names: initIntegers adds those of integers. */
export function addOperators(set: string, rows: Rows): void {
  added.set(set, rows)
}

/** The meanings of an operator of a set; undefined where there are none. */
export function meaningsOf(set: string, name: string): Rows[string] | undefined {
  for (const rows of [added.get(set), set === '' ? operators : undefined])
    if (rows && Object.hasOwn(rows, name)) return rows[name]
  return undefined
}

/** Whether a set of operators is known. */
export const isKnownSet = (set: string): boolean => set === '' || added.has(set)
