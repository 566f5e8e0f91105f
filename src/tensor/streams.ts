/**
 * One map of the random streams of a seed. Whatever draws numbers has streams of its own, so that no mask repeats a shift, and
 * no order of examples the weights. Callers' own streams, of `uniform`, `normal` and `dropout`, are what they say.
 *
 *   0 …                parameters, one each, in the order in which they are made
 *   0x10000 + epoch    the order of the examples
 *   0x28000000 + place what is drawn for data that are made: shapes, moving pictures, movements
 *   0x30000000 + place what features are learned from: patches, first dictionaries, units of a Boltzmann machine
 *   0x40000000 + round what a search tries
 *   0x60000000 + step  how much of another example each one of a step is mixed with
 *   0x70000000 + scene what a scene of digits is made of
 *   0x80000000 + step  how pictures of a step are changed
 *   0xc0000000 + place what dropout leaves out: places are counted over the layers of a model and the steps
 *
 * The last two go round after 2³⁰, and a model of more than 65,536 parameters takes streams of the first epochs for the others.
 */
const ROUND = 2 ** 30

/** The stream of the order of the examples of an epoch. */
export const shuffleStream = (epoch: number): number => 0x10000 + epoch

/** The stream of what is drawn for data that are made. */
export const madeStream = (place: number): number => 0x28000000 + place

/** The stream of what features are learned from: 2²⁸ places, which steps go round in. */
export const featureStream = (place: number): number => 0x30000000 + (place % 2 ** 28)

/** The stream of a round of a search. */
export const searchStream = (round: number): number => 0x40000000 + round

/** The stream of how the examples of a step are mixed: 2²⁸ steps, after which they go round. */
export const mixingStream = (step: number): number => 0x60000000 + (step % 2 ** 28)

/** The stream of a scene of digits: 2²⁸ of them, after which they go round. */
export const sceneStream = (scene: number): number => 0x70000000 + (scene % 2 ** 28)

/** The stream of changes to the pictures of a step. */
export const augmentationStream = (step: number): number => 0x80000000 + (step % ROUND)

/** The stream of what is left out at a place. */
export const dropoutStream = (place: number): number => 0xc0000000 + (place % ROUND)
