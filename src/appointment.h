/*
 * appointment.h
 *		What an appointment is for, and who must know of it.
 */
#ifndef TXPLAN_APPOINTMENT_H
#define TXPLAN_APPOINTMENT_H

#include "compat.h"

#include "planlock.h"
#include "row.h"

/* appointmentlink.c */
extern void FollowLinks(Row *row, const Row *old_row);
extern bool LinksDiffer(const Row *row, const Row *old_row);
extern bool IsUnlinked(const Row *row, const Row *old_row);

#endif /* TXPLAN_APPOINTMENT_H */
