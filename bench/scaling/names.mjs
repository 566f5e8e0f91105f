// @ts-check
/** The networks whose forward pass is measured. */
export const forward = ['lenet5', 'alexnet', 'googlenet', 'vgg16']
