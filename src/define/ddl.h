/*
 * ddl.h
 *	  DDL statements that concern pipelines and assets as a whole.
 */
#ifndef VP_DDL_H
#define VP_DDL_H

extern void vp_ddl_init(void);

#endif							/* VP_DDL_H */
