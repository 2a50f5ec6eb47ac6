internal import CLinux

/// What happens when the program itself is at fault: a precondition that does not hold, memory that is not there, an
/// assertion of a library.
///
/// It ends at once, with one line on standard error and exit status 70. No memory is shown: neither payload nor keys. No
/// backtrace is made, which takes half a minute and keeps every flow hanging; `CULVERT_BACKTRACE=1` in the environment
/// leaves the Swift runtime's handlers as they are.
public enum ProcessFaults {
    /// The first thing a program does. Holds for the calling thread, and for those that `Thread.start` makes.
    public static func endAtOnce(program: String, version: String) {
        unsafe culvert_faults_end_at_once(program, version)
    }

    /// The line is wanted in a log too, for a process in the background.
    public static func alsoTell(_ descriptor: Descriptor) { culvert_faults_also_to(descriptor) }
}
