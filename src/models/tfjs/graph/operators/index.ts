/** The table of graph-models' operators. */
import type { Rows } from '../row.js'
import { elementwise } from './elementwise.js'
import { layout } from './layout.js'
import { reductions } from './reductions.js'
import { windows } from './windows.js'

export const operators: Rows = { ...elementwise, ...layout, ...reductions, ...windows }
