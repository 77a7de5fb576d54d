/*
** alarm.h - a future that is ready at a real time, also while the clock of the executor is paused.
**
** For how long to wait for somebody outside, such as another thread, which a paused clock says
** nothing about. There are few of them at a time: a list that is looked through in each turn.
*/
#ifndef LA_CORE_ALARM_H
#define LA_CORE_ALARM_H

#include "core/executor.h"

typedef struct la_alarm {
  la_future base;
  la_executor *ex;
  uint64_t deadline; /* of la_executor_real_time */
  la_node node;      /* in ex->alarms, with its waker */
  la_waker waker;
} la_alarm;

/* Ready `ns` from now. */
void la_alarm_init(la_alarm *a, la_executor *ex, uint64_t ns);

/* ---- for executor.c ---------------------------------------------------------------*/

/* The earliest deadline, or LA_TIMER_NEVER. */
uint64_t la_alarms_next(const la_executor *ex);

/* Wakes those that are due. */
void la_alarms_fire(la_executor *ex, uint64_t now);

#endif
