internal import CulvertPlan

/// What culvert's own settings come to: a file counts where the command line is silent, and the plan's default where
/// both are.
struct OwnSettings {
    let drain: Duration
    let engine: EngineChoice
    let hold: Duration
    let knocks: KnockLimit
    let links: Int
    let nodelay: Bool
    let persistence: Persistence
    let pidFile: String?
    let runtime: RuntimeOptions

    init(_ long: LongOptions, _ file: CulvertSettings) {
        drain = long.drain ?? file.drain ?? RuntimeOptions.defaultDrain
        engine = long.engine ?? file.engine ?? .native
        hold = long.hold ?? file.hold ?? TunnelPlan.defaultHold
        knocks = long.knocks ?? file.knocks ?? TunnelPlan.defaultKnocks
        links = long.links ?? file.links ?? TunnelPlan.defaultLinks
        nodelay = long.nodelay || file.nodelay ?? false
        persistence = long.persist || file.persist ?? false ? .always : .no
        pidFile = long.pidFile
        runtime = RuntimeOptions(
            io: long.io ?? file.io ?? .auto, threads: long.threads ?? file.threads,
            memory: long.memory ?? file.memory ?? RuntimeOptions.defaultMemory)
    }
}
