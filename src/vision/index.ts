/** What is learned and what is built in: models of sight. */
export * from './gabor.js'
