/* SPDX-License-Identifier: MIT */
/* chunked.h: the body of a request that came in chunks (RFC 9112, 7.1).
 *
 * Pure and incremental, byte by byte through the framing, in whole spans through the data,
 * which is never copied. The caller feeds bytes and is told of spans:
 *
 *     while ((what = pi_http_chunked_next(&d, bytes, n, &used)) != PI_CHUNK_END) {
 *         bytes += used, n -= used;
 *         if (what == PI_CHUNK_DATA)   // min(d.left, n) bytes of the body begin at bytes;
 *             ...                      // subtract from d.left as many as are consumed
 *         else if (what == PI_CHUNK_MORE)
 *             ...                      // read more; n is 0
 *         else
 *             ...                      // the negated status: 400, 413, 431
 *     }
 *
 * Strict: sizes are hexadecimal digits; lines end with CR LF; trailers are fields. Extensions
 * may be of any bytes that a field's value may have, and blanks may stand before the first of
 * them (RFC 9112 has recipients take these), but not where no extension follows: some take
 * "5 " for 5 and some do not. Extensions and trailers are bounded, and are passed over.
 */
#ifndef PI_HTTP_CHUNKED_H
#define PI_HTTP_CHUNKED_H

#include <stddef.h>
#include <stdint.h>

/** The most bytes of a chunk's extensions, and of all trailers. */
#define PI_HTTP_EXTENSION_MAX 256
#define PI_HTTP_TRAILERS_MAX 4096

enum { PI_CHUNK_MORE = 0, PI_CHUNK_DATA = 1, PI_CHUNK_END = 2 };

typedef struct pi_http_chunked {
    uint64_t left;   /* of the chunk's data; the caller's to subtract from */
    uint64_t budget; /* of the body; what later chunks may still bring */
    uint16_t line;   /* bytes of extension or trailers so far */
    uint8_t state;   /* private */
    uint8_t digits;  /* of the size */
} pi_http_chunked;

/** Before the first byte of a body that may have at most limit bytes. */
void pi_http_chunked_init(pi_http_chunked *d, uint64_t limit);

/**
 * Go on to the next byte of data, to the end of the body, or of the input.
 *
 * @param used  how many of the n bytes were framing and are done with
 * @return PI_CHUNK_MORE: all were; PI_CHUNK_DATA: the next min(d->left, n - *used) bytes
 *         are data, and there is at least one; PI_CHUNK_END: the body is over, and what
 *         follows belongs to the next request; a negated status: 400 malformed, 413 more
 *         than the limit, 431 too much extension or trailer
 */
int pi_http_chunked_next(pi_http_chunked *d, const char *bytes, size_t n, size_t *used);

#endif
