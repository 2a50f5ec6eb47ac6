/// One piece of a command line, as getopt would have found it.
enum CommandWord: Hashable, Sendable {
    /// `-p 22`, `-p22`, or the end of a cluster `-vvNp22`.
    case short(Character, String?)
    /// `--io epoll` or `--io=epoll`, with its dashes.
    case long(String, String?)
    /// The destination.
    case operand(String)
    /// What follows the destination and is no option: for ssh, a remote command.
    case command([String])
}
