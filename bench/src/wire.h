/* One end of a connection, with TLS or without.
 *
 * The programs generator and collector are compiled without TLS, and then need no OpenSSL; generator-tls and
 * collector-tls are the same sources with TLS defined. Nothing is verified here: what is measured is the relay, and it
 * does verify.
 */
#ifndef HFP_BENCH_WIRE_H
#define HFP_BENCH_WIRE_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#ifdef TLS
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>

typedef SSL secret;
static SSL_CTX *wire_context;

/* The process ends with a message when OpenSSL refuses something. */
static inline void wire_check(int is_good, const char *what)
{
    if (is_good)
        return;
    fprintf(stderr, "TLS: %s\n", what);
    ERR_print_errors_fp(stderr);
    exit(1);
}
#else
typedef void secret; /* there is none */
#endif

struct wire {
    int fd;
    secret *tls; /* NULL where this connection has none */
};

/* Make this end of a connected socket speak TLS, as a client; returns when the handshake is complete. */
static inline void wire_secure_client(struct wire *w)
{
#ifdef TLS
    if (!wire_context) {
        signal(SIGPIPE, SIG_IGN); /* OpenSSL writes without MSG_NOSIGNAL */
        wire_check((wire_context = SSL_CTX_new(TLS_client_method())) != NULL, "no client context");
    }
    wire_check((w->tls = SSL_new(wire_context)) != NULL && SSL_set_fd(w->tls, w->fd), "no connection");
    wire_check(SSL_connect(w->tls) == 1, "the handshake failed");
#else
    (void)w;
    fprintf(stderr, "compiled without TLS\n");
    exit(2);
#endif
}

/* From now on, connections taken with wire_secure_server() show this certificate; its key is in the same file. */
static inline void wire_load_certificate(const char *path)
{
#ifdef TLS
    signal(SIGPIPE, SIG_IGN);
    wire_check((wire_context = SSL_CTX_new(TLS_server_method())) != NULL, "no server context");
    wire_check(SSL_CTX_use_certificate_chain_file(wire_context, path) == 1, path);
    wire_check(SSL_CTX_use_PrivateKey_file(wire_context, path, SSL_FILETYPE_PEM) == 1, path);
#else
    fprintf(stderr, "compiled without TLS: no use for %s\n", path);
    exit(2);
#endif
}

/* Make this end of an accepted, non-blocking socket speak TLS; the handshake takes place within wire_read(). */
static inline void wire_secure_server(struct wire *w)
{
#ifdef TLS
    wire_check((w->tls = SSL_new(wire_context)) != NULL && SSL_set_fd(w->tls, w->fd), "no connection");
    SSL_set_accept_state(w->tls);
#else
    (void)w;
#endif
}

/* Returns octets read, 0 at the end or after an error, -1 when there is nothing now. With TLS at most one record. */
static inline ssize_t wire_read(struct wire *w, char *to, size_t room)
{
#ifdef TLS
    if (w->tls) {
        ERR_clear_error();
        int n = SSL_read(w->tls, to, (int)room);
        if (n > 0)
            return n;
        int error = SSL_get_error(w->tls, n);
        return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? -1 : 0;
    }
#endif
    ssize_t n = read(w->fd, to, room);
    return n < 0 && errno != EINTR && errno != EAGAIN ? 0 : n;
}

/* Write to a blocking socket; returns octets written, maybe fewer, or -1 after an error. A datagram goes whole. */
static inline ssize_t wire_write(struct wire *w, const char *octets, size_t count)
{
#ifdef TLS
    if (w->tls) {
        int n = SSL_write(w->tls, octets, (int)count);
        wire_check(n > 0, "the write failed");
        return n;
    }
#endif
    return send(w->fd, octets, count, MSG_NOSIGNAL);
}

static inline void wire_close(struct wire *w)
{
#ifdef TLS
    SSL_free(w->tls);
#endif
    close(w->fd);
}

#endif
