/*
 * owned.h
 *	  DROP OWNED and REASSIGN OWNED do to pipelines what they do to tables.
 */
#ifndef VP_OWNED_H
#define VP_OWNED_H

extern void vp_owned_init(void);

#endif							/* VP_OWNED_H */
