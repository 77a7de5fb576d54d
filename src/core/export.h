/*
** export.h - what parts may call: symbols that lua_async.so exports.
**
** In a part they are weak. One that was built from another version is loaded all the same, whatever
** it lacks, and can say so (la_part_open, part.h), before it calls any of them.
*/
#ifndef LA_CORE_EXPORT_H
#define LA_CORE_EXPORT_H

#if !defined(LA_BUILDS_PART)
#define LA_PART __attribute__((visibility("default")))
#elif defined(__APPLE__)
#define LA_PART __attribute__((visibility("default"), weak_import))
#else
#define LA_PART __attribute__((visibility("default"), weak))
#endif

/* The same for what every version has. */
#define LA_PART_DATA __attribute__((visibility("default")))

#endif
