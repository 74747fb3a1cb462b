/* A gapless subscriber in C, written from hudd/wire/PROTOCOL.md (2.5) with libzmq and cJSON.
 *
 *   cc -o subscriber subscriber.c -lzmq -lcjson
 *   subscriber RUNTIME_FOLDER COUNT [AFTER]     prints COUNT notes, one JSON object a line
 *
 * One number is the cursor: notes of all topics are handed out in the order of their numbers. It lives through restarts
 * of the daemon, and ends with 1 and a sentence when the daemon refuses for good.
 */
#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <zmq.h>

enum { ANSWER_MS = 5000, AGAIN_MS = 200, PAGE = 500, NAME = 128 };

typedef struct {
    void *notes, *control;
    char welcome[64];
    char stream[NAME];   /* "" before the first welcome */
    char instance[NAME]; /* whose welcome came last */
    int64_t held;        /* everything up to this number was printed, or was there before we came */
    int64_t wanted;      /* the newest number that we know of */
    int64_t after;       /* -1: from now on */
    int64_t asked_for;   /* wanted, at the time of the request */
    int64_t asked_from;  /* held, at that time */
    int64_t deadline_ms; /* of the request under way */
    int64_t not_before_ms;
    int request;         /* its id; 0: none */
    int last_request;
    bool must_ask;
    long left;           /* notes still to print */
} Subscriber;

static void fail(const char *format, ...) {
    va_list values;
    va_start(values, format);
    vfprintf(stderr, format, values);
    va_end(values);
    fputc('\n', stderr);
    exit(1);
}

static int64_t clock_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static const char *text_of(const cJSON *object, const char *name) {
    const char *found = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
    return found ? found : "";
}

static int64_t number_of(const cJSON *object, const char *name) {
    const cJSON *found = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsNumber(found) ? (int64_t)found->valuedouble : 0; /* exact below 2^53 */
}

/* The last frame of a message as a string, the first one in `topic` when wanted; NULL when there is none. */
static char *receive(void *socket, char *topic, size_t size) {
    char *last = NULL;
    int more = 1;
    bool first = true;
    while (more) {
        zmq_msg_t frame;
        zmq_msg_init(&frame);
        if (zmq_msg_recv(&frame, socket, ZMQ_DONTWAIT) < 0) {
            zmq_msg_close(&frame);
            break;
        }
        free(last);
        last = strndup(zmq_msg_data(&frame), zmq_msg_size(&frame));
        if (first && topic) snprintf(topic, size, "%s", last);
        first = false;
        more = zmq_msg_more(&frame);
        zmq_msg_close(&frame);
    }
    return last;
}

static void handle(Subscriber *s, const cJSON *note) {
    int64_t seq = number_of(note, "seq");
    if (seq <= s->held || s->left <= 0) return;
    s->held = seq;
    s->left--;
    cJSON *line = cJSON_CreateObject();
    cJSON_AddNumberToObject(line, "seq", (double)seq);
    cJSON_AddStringToObject(line, "text", text_of(note, "text"));
    char *printed = cJSON_PrintUnformatted(line);
    puts(printed);
    fflush(stdout);
    cJSON_free(printed);
    cJSON_Delete(line);
}

/* Another journal: its numbers have nothing to do with the ones held. */
static void switch_to(Subscriber *s, const char *stream) {
    if (!strcmp(s->stream, stream)) return;
    fprintf(stderr, "the journal was replaced\n");
    snprintf(s->stream, sizeof s->stream, "%s", stream);
    s->held = s->wanted = 0;
    s->request = 0;
}

static void on_heads(Subscriber *s, const cJSON *body, bool welcome) {
    int64_t newest = 0;
    const cJSON *head;
    cJSON_ArrayForEach(head, cJSON_GetObjectItemCaseSensitive(body, "heads")) {
        if (!strncmp(head->string, "note/", 5) && (int64_t)head->valuedouble > newest) newest = (int64_t)head->valuedouble;
    }
    if (!*s->stream) {
        if (!welcome) return;
        snprintf(s->stream, sizeof s->stream, "%s", text_of(body, "stream"));
        s->held = s->after < 0 ? newest : s->after;
        fprintf(stderr, "ready\n");
    }
    switch_to(s, text_of(body, "stream"));
    if (welcome && strcmp(s->instance, text_of(body, "instance"))) {
        snprintf(s->instance, sizeof s->instance, "%s", text_of(body, "instance"));
        if (0 < newest && newest < s->held) {
            fprintf(stderr, "an older copy of the journal was put back\n");
            s->held = newest;
            s->wanted = 0;
        }
    }
    if (welcome && s->request) { /* a new connection, perhaps a new daemon that never got the request */
        s->request = 0;
        s->must_ask = true;
    }
    if (newest > s->wanted) s->wanted = newest;
}

static void on_note(Subscriber *s, const cJSON *note) {
    if (!*s->stream) return; /* not welcomed yet */
    switch_to(s, text_of(note, "stream"));
    int64_t seq = number_of(note, "seq");
    if (seq == s->held + 1) handle(s, note);
    if (seq > s->wanted) s->wanted = seq;
}

static void take_frames(Subscriber *s) {
    char topic[512];
    char *text;
    while (s->left > 0 && (text = receive(s->notes, topic, sizeof topic))) {
        cJSON *body = cJSON_Parse(text);
        free(text);
        if (!body) fail("a frame on %s is no JSON", topic);
        if (!strcmp(topic, s->welcome) || !strcmp(topic, "hb/")) on_heads(s, body, topic[0] == 'w');
        else if (!strncmp(topic, "note/", 5)) on_note(s, body);
        cJSON_Delete(body);
    }
}

static void on_page(Subscriber *s, const cJSON *page) {
    const cJSON *note;
    if (strcmp(text_of(page, "stream"), s->stream)) { /* replaced meanwhile; this page counts from the other one */
        switch_to(s, text_of(page, "stream"));
        s->must_ask = true;
        return;
    }
    if (s->asked_from > 0 && number_of(page, "oldest") > s->asked_from + 1) fprintf(stderr, "notes were pruned\n");
    cJSON_ArrayForEach(note, cJSON_GetObjectItemCaseSensitive(page, "notes")) handle(s, note);
    if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(page, "more"))) s->must_ask = true;
    else if (s->asked_for > s->held) s->held = s->asked_for; /* announced and not there: gone */
}

static void take_replies(Subscriber *s) {
    char *text;
    while ((text = receive(s->control, NULL, 0))) {
        cJSON *reply = cJSON_Parse(text);
        free(text);
        const cJSON *error = cJSON_GetObjectItemCaseSensitive(reply, "error");
        if (!reply || !s->request || number_of(reply, "id") != s->request) {
            cJSON_Delete(reply); /* the answer to a request that was given up */
            continue;
        }
        s->request = 0;
        if (error) {
            const char *code = text_of(cJSON_GetObjectItemCaseSensitive(error, "data"), "code");
            bool passes = !strcmp(code, "E_BUSY") || !strcmp(code, "E_DEADLINE") || !strcmp(code, "E_STATE") ||
                          !strcmp(code, "E_STORAGE");
            if (!passes) fail("%s: %s", code, text_of(error, "message"));
            s->must_ask = true;
            s->not_before_ms = clock_ms() + AGAIN_MS;
        } else {
            on_page(s, cJSON_GetObjectItemCaseSensitive(reply, "result"));
        }
        cJSON_Delete(reply);
    }
}

static void ask(Subscriber *s) {
    int64_t now = clock_ms();
    if (s->request && now >= s->deadline_ms) {
        s->request = 0;
        s->must_ask = true;
    }
    if (!*s->stream || s->request || now < s->not_before_ms || !(s->must_ask || s->wanted > s->held)) return;
    char request[512];
    snprintf(request, sizeof request,
             "{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"notes.since\",\"params\":{\"stream\":\"%s\",\"seq\":%" PRId64
             ",\"topic_prefix\":\"note/\",\"limit\":%d,\"deadline_ms\":%d}}",
             ++s->last_request, s->stream, s->held, PAGE, ANSWER_MS);
    if (zmq_send(s->control, "", 0, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0 ||
        zmq_send(s->control, request, strlen(request), ZMQ_DONTWAIT) < 0) {
        s->not_before_ms = now + AGAIN_MS; /* nobody is there now */
        return;
    }
    s->request = s->last_request;
    s->deadline_ms = now + ANSWER_MS;
    s->asked_for = s->wanted;
    s->asked_from = s->held;
    s->must_ask = false;
}

static long wait_ms(const Subscriber *s) {
    int64_t now = clock_ms(), until = -1;
    if (s->request) until = s->deadline_ms;
    else if (*s->stream && (s->must_ask || s->wanted > s->held)) until = s->not_before_ms;
    return until < 0 ? -1 : until > now ? (long)(until - now) : 0;
}

static void *open_socket(void *context, int kind, const char *folder, const char *name) {
    void *made = zmq_socket(context, kind);
    int zero = 0, one = 1;
    char address[256];
    zmq_setsockopt(made, ZMQ_LINGER, &zero, sizeof zero);
    if (kind == ZMQ_DEALER) zmq_setsockopt(made, ZMQ_IMMEDIATE, &one, sizeof one); /* queue nothing for nobody */
    snprintf(address, sizeof address, "ipc://%s/%s", folder, name);
    if (zmq_connect(made, address)) fail("%s: %s", address, zmq_strerror(zmq_errno()));
    return made;
}

int main(int count, char **words) {
    if (count < 3) fail("usage: subscriber RUNTIME_FOLDER COUNT [AFTER]");
    Subscriber s = {.left = atol(words[2]), .after = count > 3 ? strtoll(words[3], NULL, 10) : -1};
    uint64_t token;
    if (getrandom(&token, sizeof token, 0) != sizeof token) fail("there are no random numbers");
    snprintf(s.welcome, sizeof s.welcome, "welcome/%016" PRIx64 "/", token);
    void *context = zmq_ctx_new();
    s.notes = open_socket(context, ZMQ_SUB, words[1], "notes.sock");
    s.control = open_socket(context, ZMQ_DEALER, words[1], "ctl.sock");
    const char *topics[] = {"note/", "hb/", s.welcome}; /* the welcome last */
    for (int i = 0; i < 3; i++) zmq_setsockopt(s.notes, ZMQ_SUBSCRIBE, topics[i], strlen(topics[i]));
    while (s.left > 0) {
        zmq_pollitem_t items[] = {{.socket = s.notes, .events = ZMQ_POLLIN}, {.socket = s.control, .events = ZMQ_POLLIN}};
        zmq_poll(items, 2, wait_ms(&s));
        take_frames(&s);
        take_replies(&s);
        ask(&s);
    }
    zmq_close(s.notes);
    zmq_close(s.control);
    zmq_ctx_term(context);
    return 0;
}
