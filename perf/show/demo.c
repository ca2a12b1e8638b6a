/* SPDX-License-Identifier: MIT */
/* demo.c: pica-demo, the demo without its report. Called by the script perf/demo. */
#include "perf/common/clock.h"
#include "perf/common/process.h"
#include "perf/show/acts.h"

#include <errno.h>
#include <string.h>

int main(int argc, char **argv)
{
    if (argc != 2 || argv[1][0] == '-') {
        fputs("usage: pica-demo RESULT.json\n\n"
              "Runs the three acts, shows them, and writes what it measured.\n",
              argc == 2 && strcmp(argv[1], "--help") == 0 ? stdout : stderr);
        return argc == 2 && strcmp(argv[1], "--help") == 0 ? 0 : 2;
    }
    static pb_act acts[PB_ACTS];
    int64_t start = pb_now();
    pb_raise_descriptors();
    int rc = pb_act_throughput(&acts[0]);
    if (rc == 0)
        rc = pb_act_latency(&acts[1]);
    if (rc == 0)
        rc = pb_act_hog(&acts[2]);
    if (rc == 0)
        rc = pb_result_write(argv[1], acts, (double)(pb_now() - start) / 1e9);
    if (rc < 0) {
        fprintf(stderr, "pica-demo: %s\n",
                rc == -EBADMSG ? "a server was not loaded as it should, see above" : strerror(-rc));
        return 1;
    }
    return 0;
}
