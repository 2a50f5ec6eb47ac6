// What the threads need of the handlers of faults.
#ifndef CULVERT_FAULTS_H
#define CULVERT_FAULTS_H

// Room for the processor's whole state, AMX's tiles too, and for the handler.
enum { CULVERT_FAULT_STACK = 32768 };

// The calling thread's faults are handled on this memory, which has CULVERT_FAULT_STACK bytes; NULL: no longer.
void culvert_fault_stack_use(void *stack);

#endif
