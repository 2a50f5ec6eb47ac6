import Foundation

/// The shell that outlives the test runner for a moment and ends what the runner left behind.
///
/// It reads process groups from a pipe whose other end only the runner holds. When the runner ends, however it ends,
/// the pipe closes and the shell kills the groups that are still registered and removes the scratch directories.
/// Invariant: a group is unregistered before its leader is reaped, so no reused number is ever killed.
final class Reaper: @unchecked Sendable {
    static let shared = Reaper()
    private let lock = NSLock()
    private let pipeEnd: CInt

    private init() {
        var ends: [CInt] = [-1, -1]
        precondition(pipe(&ends) == 0, "a pipe can be made")
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        pipeEnd = ends[1]
        let script = """
            groups=' '; directories=
            while read -r what value; do
              case $what in
                add) groups="$groups$value " ;;
                drop) groups=$(printf %s "$groups" | sed "s/ $value / /") ;;
                directory) directories="$directories $value" ;;
              esac
            done
            for group in $groups; do kill -s KILL -- "-$group" 2>/dev/null; done
            for directory in $directories; do rm -rf -- "$directory"; done
            """
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawn_file_actions_adddup2(&actions, ends[0], 0)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP))
        var child: pid_t = 0
        var words: [UnsafeMutablePointer<CChar>?] = cStrings(["/bin/sh", "-c", script])
        precondition(posix_spawn(&child, "/bin/sh", &actions, &attributes, &words, environ) == 0, "a shell starts")
        for word in words { free(word) }
        posix_spawn_file_actions_destroy(&actions)
        posix_spawnattr_destroy(&attributes)
        close(ends[0])
        signal(SIGPIPE, SIG_IGN)
    }

    func register(group: pid_t) { send("add \(group)\n") }
    func unregister(group: pid_t) { send("drop \(group)\n") }
    func register(directory: String) { send("directory \(directory)\n") }

    private func send(_ line: String) {
        lock.lock()
        defer { lock.unlock() }
        _ = write(pipeEnd, line, line.utf8.count)
    }
}
