public import CulvertPlan

/// What `culvert up` and `culvert check` are asked for: a file of tunnels, and how to run them.
public struct TunnelFileRequest: Hashable, Sendable {
    /// As typed.
    public var file: String
    /// Names of tunnels; empty: all of the file.
    public var names: [String]
    /// Options that every tunnel gets before what the file says.
    public var options: [String]
    public var output: OutputOptions
    public var process: ProcessOptions

    /// Reads `words`, which begin behind "up" or "check".
    static func read(_ words: [CommandWord], _ command: String) throws(ConfigurationError) -> TunnelFileRequest {
        var store = SettingStore()
        var options: [String] = []
        var file: String?
        var names: [String] = []
        var pidFile: String?
        var hasControl = true
        var metrics: MetricsPlace?
        for word in words {
            switch word {
            case .short(let letter, let value):
                guard "fqvyEF".contains(letter) else {
                    throw ConfigurationError("-\(letter): it is said for each tunnel in the file: leave it out")
                }
                if "qvF".contains(letter) { options += ["-\(letter)"] + (value.map { [$0] } ?? []) }
                if letter != "F" { try store.apply(letter: letter, value: value) }
            case .long("--no-control", nil): hasControl = false
            case .long("--metrics", let place?):
                do throws(LongOptions.Cause) {
                    let read = try LongOptions.metrics(place)
                    metrics = metrics ?? read
                } catch {
                    throw ConfigurationError("--metrics \(place): \(error.text)")
                }
            case .long("--pid-file", let path): pidFile = pidFile ?? path
            case .long(let name, _):
                throw ConfigurationError("\(name): it is said for each tunnel in the file: leave it out")
            case .operand(let text): file = text
            case .command(let more): names = more
            }
        }
        guard let file, !file.isEmpty else {
            throw ConfigurationError("no file: give one, for example culvert \(command) tunnels.toml")
        }
        if let option = names.first(where: { $0.hasPrefix("-") }) {
            throw ConfigurationError("\(option): options stand before the names of tunnels")
        }
        return TunnelFileRequest(
            file: file, names: names, options: options, output: store.output,
            process: ProcessOptions(
                background: store.background == true ? .standing : nil, pidFile: pidFile, hasControl: hasControl,
                metrics: metrics))
    }
}
