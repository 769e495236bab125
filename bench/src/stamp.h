/* The stamp that the generator writes into every packet and the collector reads back.
 *
 * The packet itself is built by bench/packet.py and handed to both programs as a file, with the offset of the stamp in
 * it, so that nothing here knows HEP beyond its first six octets. The stamp is text, for it stands in a SIP Call-ID:
 *
 *     offset  size  meaning
 *          0     8  sequence number of the packet within one sending, hexadecimal, from 0
 *          8     1  '-'
 *          9    16  CLOCK_MONOTONIC in ns just before the write, hexadecimal; zero when the sending is not paced
 */
#ifndef HFP_BENCH_STAMP_H
#define HFP_BENCH_STAMP_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SEQUENCE_DIGITS = 8, TIME_AT = 9, TIME_DIGITS = 16, STAMP_OCTETS = 25, HEADER_OCTETS = 6, PACKET_LIMIT = 65535 };

static inline uint64_t now_ns(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline void put_hex(char *out, int digits, uint64_t value)
{
    static const char digit[] = "0123456789abcdef";
    for (int i = digits - 1; i >= 0; i--, value >>= 4)
        out[i] = digit[value & 15];
}

/* Returns the value, or UINT64_MAX when a character is no digit. */
static inline uint64_t get_hex(const char *in, int digits)
{
    uint64_t value = 0;
    for (int i = 0; i < digits; i++) {
        unsigned c = (unsigned char)in[i];
        unsigned d = c - '0';
        if (d > 9) {
            d = c - 'a' + 10;
            if (d < 10 || d > 15)
                return UINT64_MAX;
        }
        value = value << 4 | d;
    }
    return value;
}

/* Read the packet from its file; the process ends with a message when it cannot. */
static inline size_t load_packet(const char *path, char *packet)
{
    FILE *file = fopen(path, "rb");
    size_t size = file ? fread(packet, 1, PACKET_LIMIT, file) : 0;
    if (file)
        fclose(file);
    if (size < HEADER_OCTETS + STAMP_OCTETS) {
        fprintf(stderr, "no packet in %s\n", path);
        exit(1);
    }
    return size;
}

#endif
