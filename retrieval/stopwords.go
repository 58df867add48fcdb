package retrieval

import "strings"

// stopWords are the words, folded, that say nothing of what a text is about:
// those of Spanish and English, and those that only make a question.
var stopWords = setOf(`
a al algo alguna algunas alguno algunos algun ambos ante antes aquel aquella aquellas aquello aquellos aqui asi aun aunque bajo bien cada casi como con
contra cual cuales cualquier cuando cuanta cuantas cuanto cuantos de del desde donde dos e el ella ellas ello ellos en entonces entre era eran eras es esa
esas ese eso esos esta estaba estaban estan estar estas este esto estos estoy estuvo fue fueron fui ha haber habia habian hace hacia han has hasta hay haya he
hemos hubo igual incluso ir jamas junto la las le les lo los luego mas me mi mia mientras mio mis misma mismas mismo mismos mucha muchas mucho muchos muy nada ni
ningun ninguna ninguno no nos nosotros nuestra nuestras nuestro nuestros nunca o os otra otras otro otros para pero poca pocas poco pocos por porque pues que
quien quienes se sea sean segun ser si sido siempre siendo sin sino sobre solo somos son soy su sus suya suyas suyo suyos tal tales tambien tampoco tan tanto te
tenia tengo tiene tienen toda todas todavia todo todos tras tu tus tuvo u un una unas uno unos usted ustedes va vosotros vuestra vuestro y ya yo
about above after again against all also am an and any are aren as at be because been before being below between both but by can cannot could couldn d did
didn do does doesn doing don down during each either else ever every few for from further get had hadn has hasn have haven having her here hers herself him
himself his how however i if in into is isn it its itself just let ll m many may me might more most much must my myself neither nor not of off on once only
or other ought our ours ourselves out over own re s same shall shan she should shouldn since so some still such t than that the their theirs them themselves
then there these they this those though through thus to too under until up upon us ve very was wasn we were weren what when where whether which while who whom
whose why will with won would wouldn yet you your yours yourself yourselves
debe deben debo puede pueden puedo podemos cuyo cuya dime dame diga explica explicame quiero saber tell know`)

func setOf(list string) map[string]bool {
	set := make(map[string]bool)
	for _, w := range strings.Fields(list) {
		set[w] = true
	}
	return set
}
