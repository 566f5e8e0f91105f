/** What needs a file system: reading with explanations, writing without half-written files, finding MNIST. */
export * from './files.js'
export * from './mnist.js'
