/** How long kernels take, in ns: estimates by which calls are divided among threads. A factor of two does no harm. */

/** One element of a kernel that does little more than read and write. */
export const LIGHT = 0.4
/** One element of e^x, ln x, a power and what is made of them. */
export const HEAVY = 4
/** One multiply-add of a matrix product. */
export const MULTIPLY_ADD = 0.05
