/** Records of integers that kernels read, written by the names of their fields: the order is that of the class in assembly/. */

/** The record of these values. */
export const recordOf = <const Fields extends readonly string[]>(
  fields: Fields,
  values: Readonly<Record<Fields[number], number>>,
): Int32Array => Int32Array.from(fields, (field) => values[field as Fields[number]])
