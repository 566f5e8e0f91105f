/**
 * Who sends a request: the one that is treated fairly with others. It is the address of the connection or, behind a
 * proxy, the one in the header that `CLIENT_HEADER` names (Cloudflare: CF-Connecting-IP). Without a proxy no header is
 * believed, because strangers can send any.
 */
export function clientOf(request, env) {
  const told = env?.CLIENT_HEADER ? request.headers.get(env.CLIENT_HEADER) : request.cf?.clientIp
  return networkOf(told ?? '')
}

/** An IPv4 address as it is; of an IPv6 address the first four groups, because a household has all that begin so. */
export function networkOf(text) {
  // Of a list, the nearest proxy added the last. A connection's address has its port: 127.0.0.1:1234, [::1]:1234.
  const address = text.split(',').at(-1).trim()
  const host = /^\[(.*)\]/.exec(address)?.[1] ?? address.replace(/^([^:]*):\d+$/, '$1')
  const groups = host.split(':')
  if (groups.length === 1) return host
  // IPv4 in the clothes of IPv6: ::ffff:127.0.0.1.
  if (groups.at(-1).includes('.')) return groups.at(-1)
  const [head, tail = []] = host.split('::').map((part) => part.split(':').filter((group) => group !== ''))
  const zeros = Array.from({ length: Math.max(0, 8 - head.length - tail.length) }, () => '0')
  return `${[...head, ...zeros, ...tail].slice(0, 4).join(':')}::/64`
}
