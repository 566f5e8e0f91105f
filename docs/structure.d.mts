/** Floors from the ground up: a file may import its own floor and those below it. */
export const floors: readonly (readonly string[])[]
/** Tables of contents above all floors. */
export const entries: readonly string[]
/** Files in a folder, from the root of the repository. */
export function filesIn(folder: string): string[]
/** What a file imports of the others, by types or when it runs. */
export function importsOf(file: string): string[]
/** Sources that people write. */
export function sources(): string[]
/** The floor of a file, −1 where it is on none. */
export function floorOf(path: string): number
/** Imports that point up, as `file -> file`. */
export function upward(): string[]
/** Files that import each other in a circle. */
export function circles(): string[]
