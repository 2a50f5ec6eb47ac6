/// Where a setting was given, for messages.
enum SettingOrigin: Hashable, Sendable {
    /// `-p`
    case flag(Character)
    /// `-o Key`, as it was typed.
    case option(String)
    /// A line of a file, and its key as it was written.
    case line(FileLine, String)

    /// "-p", "-o Port" or "/home/ann/.ssh/config line 3: Port".
    var text: String {
        switch self {
        case .flag(let letter): "-\(letter)"
        case .option(let name): "-o \(name)"
        case .line(let place, let name): "\(place): \(name)"
        }
    }

    /// The same with the value. A flag and its value are two words, and so are a line's; `-o` is documented with `=`.
    func text(with words: [String]) -> String {
        let joint =
            switch self {
            case .flag, .line: " "
            case .option: "="
            }
        return text + joint + words.joined(separator: " ")
    }

    /// The same place, with the key as ssh_config(5) writes it.
    func naming(_ key: String) -> SettingOrigin {
        switch self {
        case .flag: self
        case .option: .option(key)
        case .line(let place, _): .line(place, key)
        }
    }

    /// What stands in front of a message that says the rest itself.
    var place: String {
        switch self {
        case .flag, .option: ""
        case .line(let place, _): "\(place): "
        }
    }

    /// Files of the system are not the user's own: their `~` would be anybody's.
    var isFromUser: Bool {
        switch self {
        case .flag, .option: true
        case .line(let place, _): place.isUserFile
        }
    }
}

/// A line of a configuration file.
struct FileLine: Hashable, Sendable, CustomStringConvertible {
    let path: String
    /// From 1.
    let number: Int
    /// Not from `/etc/ssh/ssh_config` and what it includes.
    let isUserFile: Bool

    var description: String { "\(path) line \(number)" }
}
