/**
 * Models of one node each for the operators of 8-bit integers, with what their definitions say, computed tap by tap in double precision. Scales are such
 * that no result lies in the middle between two bytes, where the definitions round to the even one and the kernels upwards.
 */
import { filterCases } from './quantizedFilters.js'
import type { QuantizedCase } from './quantizedParts.js'
import { valueCases } from './quantizedValues.js'

/** The cases. */
export const quantizedCases: readonly QuantizedCase[] = [...valueCases, ...filterCases]
