/* SPDX-License-Identifier: MIT */
/** @file
 * Everything. */
#ifndef PICA_PICA_H
#define PICA_PICA_H

#include <pica/base.h>
#include <pica/co.h>
#include <pica/executor.h>
#include <pica/gather.h>
#include <pica/group.h>
#include <pica/http.h>
#include <pica/net.h>
#include <pica/scope.h>
#include <pica/sem.h>
#include <pica/task.h>
#include <pica/version.h>

#endif
