/** Kinds of layers, by what carries back through them and what they do to a line. */

/** Layers that are linear in their inputs but for a constant. */
export const linearLayers: ReadonlySet<string> = new Set([
  ...['Conv2d', 'ConvTranspose2d', 'ConnectedConv2d', 'LocallyConnected2d', 'TiledConv2d', 'SeparableConv2d'],
  ...['StructuredConv2d', 'Linear', 'AvgPool2d', 'AdaptiveAvgPool2d', 'GlobalAvgPool', 'Subsample2d', 'BatchNorm1d'],
  ...['BatchNorm2d', 'Dropout', 'Flatten', 'Reshape', 'Slice', 'Split', 'Upsample2d', 'PermutePixels', 'Add', 'Concat'],
  'MeanImage',
])

/** Layers that give one of their inputs, the largest. */
export const choosingLayers: ReadonlySet<string> = new Set([
  'MaxPool2d',
  'AdaptiveMaxPool2d',
  'GlobalMaxPool',
  'Maxout',
])
