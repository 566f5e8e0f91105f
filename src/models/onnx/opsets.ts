/** Opsets whose operators the tables know. */
export const OLDEST = 6
export const NEWEST = 22
