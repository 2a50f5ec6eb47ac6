#ifndef CLINUX_H
#define CLINUX_H
#include <stdint.h>
#endif
