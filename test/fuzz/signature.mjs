/**
 * What faults have in common that are one: their kind, and their message without numbers and quoted names.
 *
 * @param {string} outcome
 * @param {string} message
 * @returns {string}
 */
export const signatureOf = (outcome, message) =>
  `${outcome}: ${message
    .replace(/'[^']*'|"[^"]*"/g, '…')
    .replace(/-?\d+(\.\d+)?(e[+-]?\d+)?/g, '#')
    .slice(0, 160)}`
